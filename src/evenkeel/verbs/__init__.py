"""The verbs as the controller runs them: what each playbook's one or two tasks do.

Floor 5: it puts the rooms below together, and is called by the doorways in plugins/action.
"""
