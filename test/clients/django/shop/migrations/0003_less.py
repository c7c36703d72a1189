from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [('shop', '0002_more')]
    operations = [
        migrations.RemoveField('customer', 'phone'),
        migrations.RemoveConstraint('line', 'line_amount'),
        migrations.AlterField('customer', 'nick', models.TextField(null=True)),
        migrations.AlterUniqueTogether('line', {('id', 'order')}),
        AddIndexConcurrently('order', models.Index(fields=['placed'], name='orders_placed')),
        migrations.RenameModel('Line', 'Item'),
        migrations.AlterModelTable('Item', 'item'),
    ]
