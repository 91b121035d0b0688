"""Write label ids and soft masks without loss, and read label ids back."""
