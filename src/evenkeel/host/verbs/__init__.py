"""What the program does: one module for each verb, and what several verbs share."""
