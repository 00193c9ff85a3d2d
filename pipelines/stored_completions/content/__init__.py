"""What of people's content a warehouse keeps: which column holds whose, the policy, and how it is applied."""
