"""What a seller is told while an auction is live."""
