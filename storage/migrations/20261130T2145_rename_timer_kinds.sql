-- Timers that notify users are named so; those in flight, and how far watchers were notified, keep their place.

UPDATE timers SET kind = 'notify_result' WHERE kind = 'tell_result';
UPDATE timers SET kind = 'notify_losers' WHERE kind = 'tell_losers';
UPDATE timers SET kind = 'notify_started' WHERE kind = 'tell_started';
UPDATE timers SET kind = 'notify_matches' WHERE kind = 'tell_matches';
UPDATE auction_tellings SET kind = 'notify_started' WHERE kind = 'tell_started';
