"""What may be promised: stock as the ERP last said, what is claimed and held of it, and what the channels are told."""
