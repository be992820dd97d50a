"""What a run leaves behind: one record as JSON, and what a person sees in the terminal."""
