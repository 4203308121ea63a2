"""What cases leave unproven: mutants of rules, and rules compared over requests made up from them."""
