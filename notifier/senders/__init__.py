"""What messages are sent with: one class a gateway, each telling apart what failed, what may have gone, what went."""
