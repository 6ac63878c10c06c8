// The server takes the program's user. While the image sets itself up it has no such user yet, and is not healthy.
db.getSiblingDB(process.env.MONGO_DATABASE).auth(process.env.MONGO_USER, process.env.MONGO_PASSWORD);
quit(0);
