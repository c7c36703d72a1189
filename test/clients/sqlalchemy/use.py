#!/usr/bin/python3
"""A program with many tenants: every table is split by its tenant.

Made with SQLAlchemy (engine, core, ORM) and migrated by Alembic's operations.
Prints what it saw; with DISTRIBUTED=1 the same on distributed tables.
"""
import os
import sys

sys.dont_write_bytecode = True

import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload, subqueryload

Base = declarative_base()


class Tenant(Base):
    __tablename__ = 'tenant'
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), nullable=False)
    plan = sa.Column(sa.Enum('free', 'paid', name='plan', native_enum=False), nullable=False)
    projects = relationship('Project', back_populates='tenant', order_by='Project.id',
                            cascade='all, delete-orphan', passive_deletes=True)


class Project(Base):
    __tablename__ = 'project'
    tenant_id = sa.Column(sa.ForeignKey('tenant.id', ondelete='CASCADE'), primary_key=True)
    id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    title = sa.Column(sa.Text, nullable=False)
    budget = sa.Column(sa.Numeric(12, 2))
    labels = sa.Column(pg.ARRAY(sa.Text))
    tenant = relationship('Tenant', back_populates='projects')
    tasks = relationship('Task', back_populates='project', order_by='Task.id',
                         cascade='all, delete-orphan', passive_deletes=True)


class Task(Base):
    __tablename__ = 'task'
    tenant_id = sa.Column(sa.Integer, primary_key=True)
    id = sa.Column(pg.UUID(as_uuid=True), primary_key=True)
    project_id = sa.Column(sa.Integer, nullable=False)
    kind = sa.Column(sa.ForeignKey('kind.name'), nullable=False)
    due = sa.Column(sa.Date)
    done = sa.Column(sa.Boolean, nullable=False, default=False)
    data = sa.Column(pg.JSONB, nullable=False, default=dict)
    version = sa.Column(sa.Integer, nullable=False)
    project = relationship('Project', back_populates='tasks')
    __table_args__ = (
        sa.ForeignKeyConstraint(['tenant_id', 'project_id'], ['project.tenant_id', 'project.id'], ondelete='CASCADE'),
        sa.Index('task_due', 'due'),
        sa.UniqueConstraint('tenant_id', 'project_id', 'id'))
    __mapper_args__ = {'version_id_col': version}


class Kind(Base):
    __tablename__ = 'kind'
    name = sa.Column(sa.String(20), primary_key=True)
    weight = sa.Column(sa.Float)


engine = sa.create_engine(sa.engine.URL.create(
    'postgresql+psycopg2', os.environ['PGUSER'], database=os.environ['PGDATABASE'],
    query={'host': os.environ['PGHOST'], 'port': os.environ['PGPORT']}), future=True, pool_size=3)


def show(title, rows):
    print(f'-- {title}')
    for row in rows:
        print(tuple(row) if isinstance(row, sa.engine.Row) else row)


def fails(title, session, action):
    try:
        with session.begin_nested():
            action()
            session.flush()
        print(f'-- {title}: no error')
    except DBAPIError as e:
        print(f'-- {title}: {type(e).__name__} {e.orig.pgcode}')


def distribute():
    if os.environ.get('DISTRIBUTED') != '1':
        return
    with engine.begin() as c:
        c.execute(text("SELECT create_reference_table('kind')"))
        c.execute(text("SELECT create_distributed_table('tenant', 'id')"))
        for table in ['project', 'task']:
            c.execute(text("SELECT create_distributed_table(:t, 'tenant_id', colocate_with => 'tenant')"), {'t': table})


def fill():
    with Session(engine, future=True) as s, s.begin():
        s.add_all([Kind(name=n, weight=w) for n, w in [('bug', 1.5), ('idea', 0.25), ('chore', 1)]])
        s.flush()
        for t in range(1, 16):
            tenant = Tenant(name=f'tenant {t}', plan='paid' if t % 3 == 0 else 'free')
            tenant.projects = [Project(id=p, title=f'project {p} of {t}', budget=Decimal(t * p) / 3,
                                       labels=['a', f'l{p % 2}'] if p % 3 else None) for p in range(1, 5)]
            for p in tenant.projects:
                p.tasks = [Task(id=uuid.UUID(int=t * 10000 + p.id * 100 + k), kind=['bug', 'idea', 'chore'][k % 3],
                                due=date(2025, 1, 1) + timedelta(days=t * k), done=k % 4 == 0,
                                data={'points': k, 'who': {'name': f'user {k % 3}'}}) for k in range(6)]
                for task in p.tasks:
                    task.tenant_id = t
            s.add(tenant)


def read():
    with Session(engine, future=True) as s:
        show('counts', [(m.__tablename__, s.scalar(select(func.count()).select_from(m))) for m in (Tenant, Project, Task, Kind)])
        show('get', [s.get(Project, (3, 2)).title])
        show('joined', [(p.tenant.name, p.title, [str(t.id)[-6:] for t in p.tasks]) for p in s.scalars(
            select(Project).where(Project.tenant_id == 4).options(joinedload(Project.tenant), selectinload(Project.tasks))
            .order_by(Project.id))])
        show('many', [(t.id, len(t.projects)) for t in s.scalars(
            select(Tenant).where(Tenant.plan == 'paid').options(subqueryload(Tenant.projects)).order_by(Tenant.id))])
        show('group', s.execute(
            select(Tenant.plan, Kind.name, func.count(), func.sum(Kind.weight), func.avg(Project.budget))
            .join(Project, Project.tenant_id == Tenant.id)
            .join(Task, sa.and_(Task.tenant_id == Project.tenant_id, Task.project_id == Project.id))
            .join(Kind, Kind.name == Task.kind).group_by(Tenant.plan, Kind.name).order_by(Tenant.plan, Kind.name)))
        points = Task.data['points'].as_integer()
        show('json', s.execute(select(Task.tenant_id, func.sum(points)).where(Task.data['who']['name'].astext == 'user 1')
                               .group_by(Task.tenant_id).having(func.sum(points) > 19).order_by(Task.tenant_id)))
        part = select(Task.tenant_id, Task.project_id, func.count().label('open')).where(~Task.done) \
            .group_by(Task.tenant_id, Task.project_id).cte('part')
        show('cte', s.execute(select(part.c.tenant_id, func.max(part.c.open), func.sum(part.c.open))
                              .group_by(part.c.tenant_id).order_by(part.c.tenant_id)))
        place = func.row_number().over(partition_by=Project.tenant_id, order_by=[Project.budget.desc(), Project.id])
        ranked = select(Project.tenant_id, Project.title, place.label('place')).subquery()
        show('window', s.execute(select(ranked).where(ranked.c.place == 1).order_by(ranked.c.tenant_id)))
        show('labels', s.execute(select(func.unnest(Project.labels).label('l'), func.count()).group_by('l').order_by('l')))
        show('any', s.execute(select(Project.tenant_id, Project.id).where(Project.labels.any('l1')).order_by(Project.tenant_id, Project.id).limit(5)))
        show('other column', s.execute(
            select(Project.title, Tenant.name).join(Tenant, Tenant.id == Project.id).where(Project.tenant_id > 12)
            .order_by(Project.title)))
        show('lateral', s.execute(
            select(Tenant.id, sa.literal_column('x.due')).join(
                select(Task.due).where(Task.tenant_id == Tenant.id).order_by(Task.due.desc()).limit(2).lateral('x'), sa.true())
            .order_by(Tenant.id, sa.literal_column('x.due')).limit(9)))
        show('streamed', [sum(len(part) for part in s.execute(
            select(Task.id).execution_options(yield_per=50)).partitions())])


def write():
    with Session(engine, future=True) as s:
        with s.begin():
            p = s.get(Project, (5, 1))
            p.title += ', renamed'
            p.tasks[0].done = True
            p.tasks[1].data = {**p.tasks[1].data, 'points': 99}
            del p.tasks[2]
            s.add(Task(tenant_id=5, project=p, id=uuid.UUID(int=7), kind='idea'))
        with s.begin():
            show('written', s.execute(select(Task.id, Task.done, Task.data['points'], Task.version)
                                      .where(Task.tenant_id == 5, Task.project_id == 1).order_by(Task.id)))
            fails('twice', s, lambda: s.execute(sa.insert(Tenant).values(id=1, name='x', plan='free')))
            fails('no parent', s, lambda: s.execute(sa.insert(Project).values(tenant_id=77, id=1, title='x')))
            fails('no kind', s, lambda: s.execute(sa.insert(Task).values(
                tenant_id=2, id=uuid.UUID(int=8), project_id=1, kind='none', done=False, data={}, version=1)))
            fails('null', s, lambda: s.execute(sa.update(Project).where(Project.tenant_id == 2).values(title=None)))
            upsert = pg.insert(Project).values([{'tenant_id': 6, 'id': i, 'title': 'upserted', 'budget': i} for i in (1, 9)])
            show('upsert', s.execute(upsert.on_conflict_do_update(
                index_elements=['tenant_id', 'id'], set_={'budget': Project.budget + upsert.excluded.budget})
                .returning(Project.tenant_id, Project.id, Project.title, Project.budget)).fetchall())
            every = {c.name: c for c in upsert.excluded if c.name != 'labels'}
            show('upsert of every column', s.execute(upsert.on_conflict_do_update(constraint='project_pkey', set_=every)
                 .returning(Project.id, Project.title, Project.budget, sa.literal_column('project.xmax = 0').label('inserted'))).fetchall())
            show('queue', s.execute(select(Task.tenant_id, Task.id).where(~Task.done).order_by(Task.due, Task.id).limit(3)
                 .with_for_update(skip_locked=True)))
            show('locked', [p.title for p in s.scalars(select(Project).where(Project.tenant_id == 7)
                 .order_by(Project.id).with_for_update(key_share=True, of=Project))])
            gone = sa.delete(Task).where(Task.tenant_id == 9, Task.kind == 'chore').returning(Task.tenant_id, Task.project_id).cte('gone')
            show('moved', s.execute(sa.select(gone.c.project_id, func.count()).group_by(gone.c.project_id).order_by(gone.c.project_id)))
            most = select(func.max(Project.budget)).where(Project.tenant_id == Tenant.id).scalar_subquery()
            show('from a subquery', [s.execute(sa.update(Tenant).where(Tenant.id > 8).values(name=func.concat('best ', most))
                 .execution_options(synchronize_session=False)).rowcount])
            s.bulk_update_mappings(Project, [{'tenant_id': t, 'id': 2, 'title': f'bulk {t}'} for t in range(10, 16)])
            show('bulk', s.execute(select(Project.tenant_id, Project.title).where(Project.title.like('bulk%')).order_by(Project.tenant_id)))
            show('returned', sorted(tuple(r) for r in s.execute(
                sa.update(Project).where(Project.budget > 15).values(budget=Project.budget * 2)
                .returning(Project.tenant_id, Project.id, Project.budget).execution_options(synchronize_session=False))))
            show('joined update', [s.execute(sa.update(Task).where(
                Task.tenant_id == Tenant.id, Tenant.plan == 'paid', Task.kind == 'bug').values(done=True)
                .execution_options(synchronize_session=False)).rowcount])
            show('deleted', [s.execute(sa.delete(Task).where(Task.due < date(2025, 1, 5))
                                       .execution_options(synchronize_session=False)).rowcount])
            s.execute(sa.insert(Project), [{'tenant_id': t, 'id': 50 + t, 'title': f'many {t}'} for t in range(1, 16)])
            show('inserted', [s.scalar(select(func.count()).where(Project.id > 50))])
            s.execute(sa.insert(Project).from_select(['tenant_id', 'id', 'title'], select(
                Tenant.id, sa.literal(100), sa.literal('copy of ') + Tenant.name)))
            show('selected', s.execute(select(Project.title).where(Project.id == 100).order_by(Project.tenant_id).limit(3)))
        try:
            with s.begin():
                s.delete(s.get(Tenant, 3))
                s.flush()
                show('gone', [s.scalar(select(func.count()).where(Task.tenant_id == 3))])
                raise ValueError
        except ValueError:
            show('back', [s.scalar(select(func.count()).where(Task.tenant_id == 3))])
        s.rollback()
        with s.begin():
            s.delete(s.get(Tenant, 4))
        with Session(engine, future=True) as one, Session(engine, future=True) as two:
            a = one.get(Task, (5, uuid.UUID(int=7)))
            b = two.get(Task, (5, uuid.UUID(int=7)))
            a.done = True
            one.commit()
            b.done = True
            try:
                two.commit()
            except sa.orm.exc.StaleDataError:
                print('-- stale data is noticed')
        with engine.connect() as c:
            c = c.execution_options(isolation_level='REPEATABLE READ')
            with c.begin():
                before = c.scalar(select(func.count()).select_from(Project))
                with engine.begin() as other:
                    other.execute(sa.insert(Project).values(tenant_id=1, id=999, title='late'))
                show('snapshot', [c.scalar(select(func.count()).select_from(Project)) - before])


def columns(title):
    inspector = sa.inspect(engine)
    for table in sorted(inspector.get_table_names()):
        if table not in ('tenant', 'project', 'task', 'kind', 'chore'):
            continue
        show(f'{title}: {table}', sorted((c['name'], str(c['type']), c['nullable'], c['default']) for c in inspector.get_columns(table)))
        show('keys', [inspector.get_pk_constraint(table)] + sorted(map(str, inspector.get_foreign_keys(table)))
             + sorted(str((i['name'], i['column_names'], i['unique'])) for i in inspector.get_indexes(table)))


def migrate(up):
    with engine.begin() as c:
        op = Operations(MigrationContext.configure(c))
        if up:
            op.add_column('task', sa.Column('hours', sa.Numeric(6, 2), server_default='1.5', nullable=False))
            op.add_column('task', sa.Column('made', sa.DateTime(timezone=True)))
            op.execute("UPDATE task SET made = due::timestamp AT TIME ZONE 'UTC'")
            op.alter_column('task', 'made', nullable=True, comment='when it was made')
            op.alter_column('project', 'title', type_=sa.String(300), existing_type=sa.Text())
            op.alter_column('project', 'budget', new_column_name='money')
            op.create_index('task_open', 'task', ['tenant_id', 'due'], postgresql_where=text('NOT done'))
            op.create_check_constraint('task_hours', 'task', 'hours > 0')
            op.create_unique_constraint('project_title', 'project', ['tenant_id', 'title', 'id'])
            op.create_table('chore', sa.Column('tenant_id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer, sa.Identity(), primary_key=True),
                            sa.ForeignKeyConstraint(['tenant_id'], ['tenant.id'], ondelete='CASCADE'))
            if os.environ.get('DISTRIBUTED') == '1':
                op.execute("SELECT create_distributed_table('chore', 'tenant_id', colocate_with => 'tenant')")
            op.bulk_insert(sa.table('chore', sa.column('tenant_id')), [{'tenant_id': 1}, {'tenant_id': 2}])
        else:
            op.drop_table('chore')
            op.drop_constraint('project_title', 'project')
            op.drop_constraint('task_hours', 'task')
            op.drop_index('task_open')
            op.alter_column('project', 'money', new_column_name='budget')
            op.alter_column('project', 'title', type_=sa.Text())
            op.drop_column('task', 'made')
            op.drop_column('task', 'hours')


Base.metadata.create_all(engine)
distribute()
fill()
columns('made')
read()
write()
read()
migrate(True)
columns('up')
with engine.connect() as connection:
    show('new columns', connection.execute(text(
        'SELECT tenant_id, sum(hours), max(made) FROM task GROUP BY 1 ORDER BY 1')))
    show('chores', connection.execute(text('SELECT * FROM chore ORDER BY 1, 2')))
migrate(False)
columns('down')
read()
Base.metadata.drop_all(engine)
