"""What billing systems and identity providers tell: verified, translated, kept and applied."""
