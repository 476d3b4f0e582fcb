"""The Centrifuge client protocol: its messages, and their JSON and Protobuf form."""
