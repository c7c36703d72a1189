"""A small shop: customers and orders are many, products and countries few."""
from django.contrib.postgres.fields import ArrayField
from django.db import models


class Country(models.Model):
    code = models.CharField(max_length=2, primary_key=True)
    name = models.CharField(max_length=50)

    class Meta:
        db_table = 'country'

    def __str__(self):
        return self.name


class Product(models.Model):
    name = models.CharField(max_length=100, unique=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    tags = ArrayField(models.CharField(max_length=20), default=list)

    class Meta:
        db_table = 'product'


class Customer(models.Model):
    name = models.CharField(max_length=120)
    email = models.EmailField(db_index=True)
    country = models.ForeignKey(Country, on_delete=models.PROTECT)
    joined = models.DateTimeField()
    profile = models.JSONField(default=dict)
    active = models.BooleanField(default=True)
    credit = models.DecimalField(max_digits=12, decimal_places=2, default=0)

    class Meta:
        db_table = 'customer'
        ordering = ['id']
        constraints = [
            models.CheckConstraint(check=models.Q(credit__gte=-1000), name='customer_credit_limit')]


class Order(models.Model):
    # Not split by its customer: no foreign key can be held to, as Django knows.
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, db_constraint=False,
                                 related_name='orders')
    placed = models.DateField()
    status = models.CharField(max_length=10, default='new')
    note = models.TextField(blank=True, default='')

    class Meta:
        db_table = 'orders'
        ordering = ['id']
        indexes = [models.Index(fields=['status', 'placed'], name='orders_status')]


class Line(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, db_constraint=False,
                              related_name='lines')
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    amount = models.PositiveIntegerField()

    class Meta:
        db_table = 'line'
