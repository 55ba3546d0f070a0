"""What is asked of the two tables. Sealed, as the question may say more than the answer."""

QUERY = """
    select region, count(*) as people, avg(amount) as mean
    from read_parquet('inputs://0/people.parquet') as people
    join read_parquet('inputs://1/payments.parquet') as payments using (person)
    group by region
    having count(*) >= 5
    order by region
"""
