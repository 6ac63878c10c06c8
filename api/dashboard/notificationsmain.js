/** The beginning of the pages of notifications, subscriptions and contacts. */

import { ContactsView } from "./contactsview.js";
import { NotificationsPage } from "./notificationspage.js";
import { NotificationsView } from "./notificationsview.js";
import { SubscriptionsView } from "./subscriptionsview.js";

const VIEWS = { notifications: NotificationsView, subscriptions: SubscriptionsView, contacts: ContactsView };

new NotificationsPage(VIEWS[document.body.dataset.page]).start();
