"""Events, schedules and what becomes of them: who wants them, attempts and their records, retries."""
