"""Programs that put the hub to work on sandbox or real systems: demo, recorded orders, the independent checker."""
