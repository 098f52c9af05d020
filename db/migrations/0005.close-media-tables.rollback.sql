-- Nothing to take back: the policies go with their tables.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

select;
