"""How two environments differ, as text for a terminal, as values for JSON, and as a page of HTML."""
