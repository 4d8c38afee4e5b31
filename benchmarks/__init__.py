"""Speed bars of medtransfer: ratios measured side by side, never tests."""
