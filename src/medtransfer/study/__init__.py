"""Layer 4: studies, their trials, and the runner that turns them into records."""
