"""What the payment provider tells us: kept first, worked on after."""
