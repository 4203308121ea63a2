"""What the bench of scale is made of: the price list and the limits as data, and the arithmetic over them."""
