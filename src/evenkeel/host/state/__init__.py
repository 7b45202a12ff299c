"""What a host knows: its releases, its journal, what is live, its policy and approvals."""
