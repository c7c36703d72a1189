from django.db import migrations, models


def fill(apps, schema_editor):
    customer = apps.get_model('shop', 'Customer')
    for c in customer.objects.filter(pk__lte=12):
        c.nick = c.name[:3] + str(c.pk)
        c.save()


class Migration(migrations.Migration):
    dependencies = [('shop', '0001_initial')]
    operations = [
        migrations.AddField('customer', 'phone', models.CharField(max_length=30, null=True)),
        migrations.AddField('customer', 'nick', models.CharField(max_length=40, default='none')),
        migrations.AddField('order', 'priority', models.SmallIntegerField(default=3)),
        migrations.RenameField('order', 'status', 'state'),
        migrations.AlterField('order', 'state', models.CharField(max_length=40, default='new', db_index=True)),
        migrations.AlterField('line', 'amount', models.BigIntegerField()),
        migrations.AddIndex('customer', models.Index(fields=['country', 'credit'], name='customer_credit')),
        migrations.AddConstraint('line', models.CheckConstraint(check=models.Q(amount__gt=0), name='line_amount')),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
