from django.contrib import admin

from .models import Country, Customer, Line, Order, Product


class LineInline(admin.TabularInline):
    model = Line
    extra = 0


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ['id', 'customer', 'placed', 'status']
    list_filter = ['status', 'customer__country']
    search_fields = ['note', 'customer__name']
    date_hierarchy = 'placed'
    inlines = [LineInline]


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    list_display = ['name', 'email', 'country']
    search_fields = ['name', 'email']


admin.site.register([Country, Product])
