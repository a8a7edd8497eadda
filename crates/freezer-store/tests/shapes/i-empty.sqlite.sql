-- Shape I: Nothing.
PRAGMA foreign_keys = OFF;
