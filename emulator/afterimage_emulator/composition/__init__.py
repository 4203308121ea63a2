"""The parts that a suite is put together from; `suite` holds them and is what others import."""
