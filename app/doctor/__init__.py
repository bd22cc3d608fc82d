"""The doctor: checks a deployment from its client's side, and says how to mend what is wrong."""
