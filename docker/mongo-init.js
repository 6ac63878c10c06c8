// Run once by the image of MongoDB, when its volume is empty: the user of the program, who may use one database only.
db.getSiblingDB(process.env.MONGO_DATABASE).createUser({
  user: process.env.MONGO_USER,
  pwd: process.env.MONGO_PASSWORD,
  roles: [{ role: "readWrite", db: process.env.MONGO_DATABASE }],
});
