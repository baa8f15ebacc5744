"""An e-commerce API in front of its cells."""
