"""What billing systems and identity providers tell: verified, kept and applied."""
