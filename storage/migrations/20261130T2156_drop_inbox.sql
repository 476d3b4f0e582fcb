-- Nobody uses it: a row of `reactions` goes in the transaction of its effect, and followers write by version.
DROP TABLE inbox;
