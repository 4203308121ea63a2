"""The parts of bench/media: inputs, contenders and the measure of likeness."""
