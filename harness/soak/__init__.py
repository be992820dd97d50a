"""Many exchanges over a line that errs, and what came of them."""
