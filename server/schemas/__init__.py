"""The public interface as documents, made from the tables that dispatch the calls."""
