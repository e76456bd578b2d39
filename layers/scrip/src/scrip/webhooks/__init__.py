"""Messages of billing systems and identity providers: verified, kept, translated and applied."""
