"""Exchange of currencies: reference rates, quotes, and the chain that an exchange books."""
