"""What an expression is worth: values, operators, functions and methods, and how look-ups are counted."""
