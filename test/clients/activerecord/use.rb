#!/usr/bin/ruby
# A program on ActiveRecord: migrations up and down, associations, eager
# loading, calculations, locks.  Prints what it saw.

$stdout.sync = true
require 'active_record'
require 'logger'

ActiveRecord::Base.establish_connection(
  adapter: 'postgresql', host: ENV['PGHOST'], port: ENV['PGPORT'].to_i, username: ENV['PGUSER'],
  database: ENV['PGDATABASE'], min_messages: 'warning')
ActiveRecord::Migration.verbose = false
ActiveRecord::Base.default_timezone = :utc

class First < ActiveRecord::Migration[6.1]
  def up
    create_table(:colors, id: :integer) { |t| t.string :name, null: false, index: { unique: true } }
    create_table :accounts do |t|
      t.string :name, limit: 60, null: false
      t.references :color, foreign_key: true, type: :integer
      t.decimal :balance, precision: 14, scale: 2, default: 0
      t.jsonb :settings, default: {}
      t.integer :lock_version, default: 0
      t.timestamps default: Time.utc(2024, 1, 1)
    end
    create_table :entries do |t|
      t.references :account, null: false
      t.integer :amount, null: false
      t.date :day
      t.string :words, array: true, default: []
    end
    return unless ENV['DISTRIBUTED'] == '1'
    execute "SELECT create_reference_table('colors')"
    execute "SELECT create_distributed_table('accounts', 'id')"
    execute "SELECT create_distributed_table('entries', 'id')"
  end

  def down
    drop_table :entries
    drop_table :accounts
    drop_table :colors
  end
end

class Second < ActiveRecord::Migration[6.1]
  def change
    add_column :accounts, :phone, :string, limit: 20
    add_column :accounts, :level, :integer, default: 2, null: false
    rename_column :entries, :day, :booked
    add_index :entries, %i[booked amount], name: 'entries_booked'
    change_column_null :accounts, :balance, false, 0
    change_column_default :accounts, :balance, from: 0, to: 5
    add_check_constraint :entries, 'amount <> 0', name: 'entries_amount'
    reversible do |d|
      d.up { change_column :entries, :amount, :bigint }
      d.down { change_column :entries, :amount, :integer }
    end
    change_column_comment :accounts, :level, from: nil, to: 'how high'
  end
end

class Third < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!
  def change
    add_index :accounts, :name, algorithm: :concurrently
    rename_index :entries, 'entries_booked', 'entries_by_day'
    remove_column :accounts, :phone, :string
  end
end

class Color < ActiveRecord::Base; has_many :accounts; end

class Account < ActiveRecord::Base
  belongs_to :color, optional: true
  has_many :entries, dependent: :delete_all
  validates :name, presence: true
  scope :rich, -> { where('balance > ?', 50) }
end

class Entry < ActiveRecord::Base
  belongs_to :account
end

def show(title, rows)
  puts "-- #{title}"
  Array(rows).each { |r| puts r.inspect }
end

def fails(title)
  ActiveRecord::Base.transaction(requires_new: true) { yield }
  puts "-- #{title}: no error"
rescue ActiveRecord::ActiveRecordError => e
  puts "-- #{title}: #{e.class}"
end

def schema(title)
  show(title, %w[accounts entries colors].flat_map do |t|
    c = ActiveRecord::Base.connection
    c.columns(t).map { |x| [t, x.name, x.sql_type, x.null, x.default] }.sort +
      c.indexes(t).map { |i| [t, i.name, i.columns, i.unique] }.sort +
      c.foreign_keys(t).map { |f| [t, f.to_table, f.column] }
  end)
end

First.migrate(:up)
schema('first')
%w[red green blue].each { |n| Color.create!(name: n) }
colors = Color.order(:id).to_a
30.times { |i| Account.create!(name: "account #{i}", color: i % 4 == 3 ? nil : colors[i % 4], balance: i * 3, settings: { a: i % 2, b: ['x', i] }) }
Entry.insert_all(Array.new(150) { |i| { account_id: 1 + i * 7 % 30, amount: i - 75 + (i == 75 ? 1 : 0), day: Date.new(2024, 1, 1) + i, words: ["w#{i % 5}", "v"] } })

def read
  show 'counts', [Color.count, Account.count, Entry.count, Account.rich.count]
  show 'find', [Account.find(7).name, Account.find([2, 4]).map(&:name), Account.find_by(name: 'account 9').id, Account.find_by(id: 99)]
  show 'includes', Account.includes(:color, :entries).order(:id).limit(4).map { |a| [a.id, a.color&.name, a.entries.map(&:id).sort] }
  show 'eager', Account.eager_load(:color).where(colors: { name: 'red' }).order(:id).limit(3).map { |a| [a.id, a.color.name] }
  show 'joins', Entry.joins(account: :color).where(colors: { name: 'green' }).group('accounts.name').order('accounts.name').sum(:amount).to_a
  show 'left joins', Account.left_joins(:entries).group(:id).having('count(entries.id) < 5').order(:id).pluck(:id, Arel.sql('count(entries.id)'))
  show 'calculated', [Account.sum(:balance), Account.average(:balance), Account.maximum(:name), Account.group(:color_id).order(:color_id).count.to_a]
  show 'distinct', [Entry.distinct.count(:account_id), Account.where.missing(:color).count]
  show 'json', Account.where('settings @> ?', { a: 1 }.to_json).order(id: :desc).limit(2).pluck(:id, :settings)
  show 'array', Entry.where("'w3' = ANY(words)").order(:id).offset(3).limit(3).pluck(:id, :words)
  show 'subquery', Account.where(id: Entry.where('amount > 60').select(:account_id)).order(:id).pluck(:id)
  show 'or', Account.where(id: 3).or(Account.where('balance > 80')).order(:id).ids
  show 'exists', [Account.exists?(5), Account.where(name: 'none').exists?, Entry.where(account_id: 4).any?]
  show 'batches', [Entry.find_each(batch_size: 40).sum(&:amount), Entry.in_batches(of: 60).map(&:count)]
  show 'union', Account.find_by_sql('SELECT id FROM accounts WHERE id < 3 UNION ALL SELECT id FROM accounts WHERE id > 28 ORDER BY 1').map(&:id)
end

read
a = Account.find(11)
a.update!(balance: a.balance + 1.25, settings: { changed: true })
show 'updated', Account.where(id: 11).pluck(:balance, :settings, :lock_version)
b = Account.find(11)
a.update!(name: 'once')
begin
  b.update!(name: 'twice')
rescue ActiveRecord::StaleObjectError
  puts '-- stale object is noticed'
end
Account.find(12).with_lock { |x| Account.find(12).increment!(:balance, 7) }
show 'increment', Account.where(id: 12).pluck(:balance)
show 'update all', [Account.where(color_id: nil).update_all('balance = balance + 1'), Entry.where(account_id: Account.where(color_id: 1)).update_all(amount: 1)]
show 'upsert', Account.upsert_all([{ id: 1, name: 'up' }, { id: 900, name: 'new' }], returning: %w[id name]).rows.sort
show 'upsert again', [Account.upsert_all([{ id: 1, name: 'up again' }, { id: 901, name: 'newer' }], returning: 'id, name, (xmax = 0) AS inserted').rows.sort,
  Account.upsert({ id: 901, name: 'newest', balance: 7 }, returning: 'id, xmax = 0').rows, Account.where(id: [1, 901]).order(:id).pluck(:name)]
show 'upsert of few', Color.upsert_all([{ name: 'red' }, { name: 'violet' }], unique_by: :name, returning: %w[name]).rows.sort
show 'inserted', [Entry.insert_all([{ account_id: 3, amount: 5 }, { account_id: 4, amount: 6 }], returning: %w[amount words]).rows.sort,
  Account.insert_all([{ id: 901, name: 'not there' }], unique_by: :id).length, Color.find_or_create_by!(name: 'violet').name, Color.create_or_find_by!(name: 'pink').name]
Account.transaction { show 'queue', Account.where('balance > 70').order(:id).limit(3).lock('FOR UPDATE SKIP LOCKED').ids }
Account.update_counters(13, balance: 4)
show 'counters', [Account.where(id: [13, 14]).touch_all, Account.find(13).balance, Entry.where('amount > 50').in_batches(of: 7).update_all('amount = amount - 1'), Entry.where(amount: 70..).in_batches(of: 3).delete_all]
Color.where(name: %w[violet pink]).delete_all
Account.where(id: 901).delete_all
show 'locked', Account.where('balance > 60').order(:id).lock.map(&:id)
fails('unique') { Color.create!(name: 'red') }
fails('reference') { Account.create!(name: 'x', color_id: 44) }
fails('referenced') { Color.where(name: 'red').delete_all }
fails('null') { Account.where(id: 3).update_all(name: nil) }
fails('too long') { Account.where(id: 3).update_all(name: 'x' * 99) }
fails('missing') { Account.find(12345) }
ActiveRecord::Base.transaction do
  Account.find(5).destroy!
  show 'destroyed', [Account.count, Entry.count]
  ActiveRecord::Base.transaction(requires_new: true) do
    Entry.delete_all
    raise ActiveRecord::Rollback
  end
  show 'rolled back', [Entry.count]
end
read
Second.migrate(:up)
[Account, Entry].each(&:reset_column_information)
schema('second')
show 'levels', Account.where(id: [1, 900]).order(:id).map { |x| [x.id, x.level, x.balance] }
fails('zero') { Entry.first.update!(amount: 0) }
Entry.where(amount: 0).delete_all
Third.migrate(:up)
schema('third')
Third.migrate(:down)
Second.migrate(:down)
[Account, Entry].each(&:reset_column_information)
schema('second down')
read
First.migrate(:down)
