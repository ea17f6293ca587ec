"""asyncio and Trio: cancellation, first steps, tasks and threads. Internal."""
