-- 0015_tidy
-- Purpose : drop what nothing has read or written since 0009
-- Grain   : none
-- Engine  : none
-- Undo    : the statement of run_sessions in 0005_books.sql; it was scratch, so nothing is lost
DROP TABLE IF EXISTS run_sessions;
