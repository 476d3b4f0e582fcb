"""The words of payments: accounts, movements of money, holds."""
