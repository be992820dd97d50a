"""Many jobs on several workers, each with a session of its own. What a job is, only who starts them knows."""
