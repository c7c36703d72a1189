#!/usr/bin/python3
"""Migrates a shop up, uses it, migrates it further, uses it more, migrates it down.

Prints what it saw.  With DISTRIBUTED=1 its tables are spread over the worker
groups after the first migration, and all that is printed must be the same.
"""
import os
import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'
sys.dont_write_bytecode = True
import django

django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models import (Avg, Case, Count, Exists, F, Max, Min, OuterRef, Prefetch, Q, StdDev,
                              Subquery, Sum, Value, When, Window)
from django.db.models.functions import Coalesce, Concat, Lower, Rank, RowNumber, TruncMonth
from django.test import Client
from shop.models import Country, Customer, Line, Order, Product


def show(title, rows):
    """Prints rows, a line each."""
    print(f'-- {title}')
    if isinstance(rows, (list, tuple)) or hasattr(rows, '__iter__') and not isinstance(rows, (str, dict)):
        for row in rows:
            print(row)
    else:
        print(rows)


def fails(title, action):
    """Prints which error an action ends with; the connection stays usable."""
    try:
        with transaction.atomic():
            action()
        print(f'-- {title}: no error')
    except DatabaseError as e:
        print(f'-- {title}: {type(e).__name__} {getattr(e.__cause__, "pgcode", None)}')


def distribute():
    if os.environ.get('DISTRIBUTED') != '1':
        return
    with connection.cursor() as cursor:
        for table in ['country', 'product']:
            cursor.execute('SELECT create_reference_table(%s)', [table])
        for table in ['customer', 'orders', 'line']:
            cursor.execute("SELECT create_distributed_table(%s, 'id')", [table])


def fill():
    Country.objects.bulk_create([Country(code=c, name=n) for c, n in
                                 [('de', 'Germany'), ('fr', 'France'), ('is', 'Iceland')]])
    Product.objects.bulk_create([
        Product(name=f'Thing {i}', price=Decimal(i) * Decimal('1.25'), tags=['even' if i % 2 == 0 else 'odd', f't{i % 3}'])
        for i in range(1, 11)])
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    customers = Customer.objects.bulk_create([
        Customer(name=f'Customer {i:03}', email=f'c{i}@example.org', country_id=['de', 'fr', 'is'][i % 3],
                 joined=start + timedelta(hours=37 * i), profile={'level': i % 4, 'langs': ['en', 'x' + str(i % 2)]},
                 credit=Decimal(i) / 4)
        for i in range(1, 61)])
    orders = Order.objects.bulk_create([
        Order(customer=customers[i * 7 % 60], placed=date(2024, 1, 1) + timedelta(days=i % 90),
              status=['new', 'paid', 'sent'][i % 3], note=f'note {i}')
        for i in range(200)], batch_size=50)
    things = list(Product.objects.order_by('id'))
    Line.objects.bulk_create([
        Line(order=orders[i % 200], product=things[i * 3 % 10], amount=1 + i % 5) for i in range(500)])


def read():
    show('counts', [m.objects.count() for m in (Country, Product, Customer, Order, Line)])
    show('by key', Customer.objects.filter(pk=7).values_list('name', 'country__name', 'credit'))
    show('keys', Customer.objects.filter(pk__in=[3, 9, 27, 1000]).values_list('id', 'email'))
    show('join', Order.objects.filter(customer__country__name='Iceland', status='paid')
         .values_list('id', 'customer__name', 'placed')[:8])
    show('related', [(o.id, o.customer.name, o.customer.country.name)
                     for o in Order.objects.select_related('customer__country').order_by('-placed', 'id')[:5]])
    show('prefetched', [(c.id, [(o.id, [(l.product.name, l.amount) for l in o.lines.all()]) for o in c.orders.all()])
                        for c in Customer.objects.filter(id__lte=3).prefetch_related(
                            Prefetch('orders', Order.objects.order_by('id')),
                            Prefetch('orders__lines', Line.objects.select_related('product').order_by('id')))])
    show('aggregates', [sorted(Line.objects.aggregate(
        n=Count('id'), s=Sum('amount'), a=Avg('amount'), lo=Min('amount'), hi=Max('amount'),
        products=Count('product', distinct=True)).items())])
    show('revenue', Line.objects.values('order__customer__country__name')
         .annotate(revenue=Sum(F('amount') * F('product__price')), orders=Count('order', distinct=True))
         .order_by('order__customer__country__name').values_list('order__customer__country__name', 'revenue', 'orders'))
    show('months', Order.objects.annotate(month=TruncMonth('placed')).values('month').annotate(n=Count('id'))
         .order_by('month').values_list('month', 'n'))
    show('having', Customer.objects.annotate(n=Count('orders')).filter(n__gte=4).order_by('-n', 'id').values_list('id', 'n'))
    latest = Order.objects.filter(customer=OuterRef('pk')).order_by('-placed', '-id')
    show('correlated', Customer.objects.annotate(last=Subquery(latest.values('placed')[:1]))
         .order_by('id').values_list('id', 'last')[:6])
    show('exists', Customer.objects.filter(~Exists(Order.objects.filter(customer=OuterRef('pk'), status='sent')))
         .count())
    show('case', Customer.objects.annotate(size=Case(
        When(credit__gte=12, then=Value('big')), When(credit__gte=5, then=Value('middle')), default=Value('small')))
         .values('size').annotate(n=Count('id')).order_by('size').values_list('size', 'n'))
    show('window', Customer.objects.annotate(
        place=Window(Rank(), partition_by=[F('country')], order_by=F('credit').desc()))
         .order_by('country', 'place').values_list('country', 'place', 'id')[:7])
    show('row numbers', Order.objects.annotate(n=Window(RowNumber(), order_by=[F('placed').asc(), F('id').desc()]))
         .order_by('n').values_list('n', 'id')[:5])
    show('json', Customer.objects.filter(profile__level=2, profile__langs__contains=['x0']).values_list('id')[:5])
    show('array', Product.objects.filter(tags__contains=['even']).order_by('name').values_list('name', 'tags'))
    show('union', Customer.objects.filter(credit__gt=14).values_list('id', 'name')
         .union(Customer.objects.filter(credit__lt=1).values_list('id', 'name')).order_by('id'))
    show('dates', Order.objects.dates('placed', 'month'))
    show('distinct', Order.objects.order_by('status').values_list('status', flat=True).distinct())
    show('distinct on', Order.objects.order_by('customer_id', '-placed', 'id').distinct('customer_id')
         .values_list('customer_id', 'placed')[:5])
    show('functions', Customer.objects.annotate(both=Concat(Lower('name'), Value('/'), 'country_id'))
         .values_list('both', flat=True)[:3])
    show('in bulk', sorted(Customer.objects.in_bulk([1, 2, 3]).keys()))
    show('iterator', sum(1 for _ in Order.objects.iterator(chunk_size=30)))
    show('first and last', [Order.objects.first().id, Order.objects.last().id, Order.objects.latest('placed').placed])
    show('page', Order.objects.filter(Q(status='new') | Q(note__endswith='7')).order_by('-id').values_list('id')[20:25])
    show('deviation', round(Customer.objects.aggregate(d=StdDev('credit'))['d'], 6))


def write():
    customer = Customer.objects.create(name='New', email='new@example.org', country_id='de',
                                       joined=datetime(2024, 5, 5, tzinfo=timezone.utc))
    show('created', customer.pk)
    customer.credit = F('credit') + 10
    customer.save()
    customer.refresh_from_db()
    show('saved', customer.credit)
    show('got', Customer.objects.get_or_create(email='new@example.org', defaults={'name': 'Other'})[1])
    show('updated or created', [
        Customer.objects.update_or_create(email='new@example.org', defaults={'name': 'Newer'})[1],
        Customer.objects.update_or_create(email='newest@example.org', defaults={
            'name': 'Newest', 'country_id': 'fr', 'joined': datetime(2024, 6, 1, tzinfo=timezone.utc)})[1]])
    show('rows updated', [Order.objects.filter(status='new').update(status='paid'),
                          Order.objects.filter(customer__country='fr', status='paid').update(note='français'),
                          Customer.objects.filter(pk=5).update(credit=F('credit') - 1)])
    some = list(Customer.objects.filter(pk__lte=5))
    for c in some:
        c.name = c.name.upper()
    Customer.objects.bulk_update(some, ['name'])
    show('bulk update', Customer.objects.filter(pk__lte=5).values_list('name', flat=True))
    with transaction.atomic():
        locked = Customer.objects.select_for_update().get(pk=8)
        locked.credit += 100
        locked.save()
        try:
            with transaction.atomic():
                Customer.objects.filter(pk__in=[8, 9, 10]).update(credit=0)
                raise ValueError
        except ValueError:
            pass
    show('savepoint', Customer.objects.filter(pk__in=[8, 9, 10]).values_list('credit', flat=True))
    with transaction.atomic():
        show('queue', [o.pk for o in Order.objects.select_for_update(skip_locked=True)
                       .filter(status='sent').order_by('placed', 'id')[:3]])
        show('locked by key', Order.objects.select_for_update(nowait=True, no_key=True).get(pk=33).status)
        show('locked with others', [(o.pk, o.customer.name) for o in Order.objects.select_related('customer')
                                    .select_for_update(of=('self',)).filter(pk__lt=4)])
    show('cases', Customer.objects.filter(pk__lt=30).update(
        credit=Case(When(country='fr', then=F('credit') + F('id')), default=F('credit')),
        name=Concat('name', Value('!'))))
    show('from another table', Order.objects.filter(pk__lt=20).update(note=Subquery(
        Customer.objects.filter(pk=OuterRef('customer_id')).values('name')[:1])))
    show('noted', Order.objects.filter(pk__lt=6).values_list('note', flat=True))
    fails('check', lambda: Customer.objects.filter(pk=3).update(credit=-5000))
    fails('unique', lambda: Product.objects.create(name='Thing 1', price=1))
    fails('foreign key', lambda: (Customer.objects.create(
        name='x', email='x', country_id='xx', joined=datetime(2024, 1, 1, tzinfo=timezone.utc)),
        connection.check_constraints()))
    fails('too long', lambda: Order.objects.filter(pk=3).update(status='x' * 30))
    show('ignored', len(Product.objects.bulk_create(
        [Product(name='Thing 1', price=1), Product(name='Thing 11', price=2)], ignore_conflicts=True)))
    show('products', Product.objects.count())
    show('deleted', sorted(Customer.objects.filter(pk=12).delete()[1].items()))
    show('left', [Order.objects.count(), Line.objects.count()])
    show('lines deleted', Line.objects.filter(order__status='sent', amount__gt=4).delete()[0])


def administrate():
    User.objects.create_superuser('admin', 'admin@example.org', 'secret')
    web = Client()
    print('-- admin')
    print(web.login(username='admin', password='secret'))
    for path in ['', 'shop/order/', 'shop/order/?q=customer&status__exact=paid',
                 'shop/order/?customer__country__code__exact=fr&o=-3.1', 'shop/order/?placed__year=2024&placed__month=2',
                 'shop/customer/?q=c1', 'shop/order/17/change/']:
        response = web.get('/admin/' + path)
        results = response.context_data.get('cl') if hasattr(response, 'context_data') else None
        print(path, response.status_code, results.result_count if results else '',
              [o.pk for o in results.result_list[:5]] if results else '')
    response = web.post('/admin/shop/country/add/', {'code': 'no', 'name': 'Norway'})
    print(response.status_code, Country.objects.count())
    response = web.post('/admin/shop/order/', {'action': 'delete_selected', '_selected_action': ['17', '18'], 'post': 'yes'})
    print(response.status_code, Order.objects.filter(pk__in=[17, 18]).count())
    response = web.post('/admin/shop/order/20/change/', {
        'customer': 3, 'placed': '2024-02-02', 'status': 'sent', 'note': 'by hand',
        'lines-TOTAL_FORMS': 0, 'lines-INITIAL_FORMS': 0})
    print(response.status_code, Order.objects.filter(pk=20).values_list('customer', 'note'))


def migrate(name):
    call_command('migrate', 'shop', name, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
            WHERE table_name IN ('customer', 'orders', 'line', 'product', 'country') AND table_schema = 'public'
            ORDER BY table_name, column_name""")
        show(f'columns after {name}', cursor.fetchall())
        tables = connection.introspection.table_names(cursor)
        if 'orders' in tables:
            show('constraints', sorted((n, c['columns'], c['primary_key'], c['unique'], c['index'])
                                       for n, c in connection.introspection.get_constraints(cursor, 'orders').items()))


call_command('migrate', verbosity=0, run_syncdb=False, app_label='contenttypes')
call_command('migrate', 'auth', verbosity=0)
call_command('migrate', 'admin', verbosity=0)
call_command('migrate', 'sessions', verbosity=0)
migrate('0001')
distribute()
fill()
read()
write()
administrate()
read()
migrate('0002')
with connection.cursor() as cursor:
    cursor.execute('UPDATE customer SET phone = %s || id WHERE id < 10', ['+49'])
    cursor.execute('SELECT id, phone, nick FROM customer WHERE id < 12 ORDER BY id')
    show('new columns', cursor.fetchall())
    cursor.execute('SELECT state, count(*), max(priority) FROM orders GROUP BY 1 ORDER BY 1')
    show('renamed column', cursor.fetchall())
migrate('0003')
migrate('0001')
read()
migrate('zero')
