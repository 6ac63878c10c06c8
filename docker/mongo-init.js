// Run once by the image of MongoDB, when its volume is empty: the user of the program, who may use one database only.
const database = process.env.MONGO_DATABASE;
// readWrite may create the view summary_transaction, but not change what it shows.
db.getSiblingDB(database).createRole({
  role: "transactionSummaries",
  privileges: [{ resource: { db: database, collection: "summary_transaction" }, actions: ["collMod"] }],
  roles: [{ role: "readWrite", db: database }],
});
db.getSiblingDB(database).createUser({
  user: process.env.MONGO_USER,
  pwd: process.env.MONGO_PASSWORD,
  roles: [{ role: "transactionSummaries", db: database }],
});
