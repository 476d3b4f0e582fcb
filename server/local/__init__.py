"""Private engines and processes of one machine: what `./mnbara up` and the tests start, watch and stop."""
