-- Nothing to take back: the policies go with their tables.
select;
