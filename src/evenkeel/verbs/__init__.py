"""The verbs as the controller runs them: what each playbook's one or two tasks do.

Floor 5: it calls the packages below, and plugins/action calls it.
"""
