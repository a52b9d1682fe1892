import type { EventFilter, Feature } from './contract.ts';
import { context, count, ratio, share, since, subject, total } from './declare.ts';

const VIEW: EventFilter = { events: ['view_item', 'select_item'] };
const CART: EventFilter = { events: ['add_to_cart'] };
const BUY: EventFilter = { events: ['purchase'] };
const ACTIVITY: EventFilter = { events: ['view_item', 'select_item', 'add_to_cart', 'purchase'] };

/** The default set for ranking candidates. The context is what the candidate sources know: scores, and the shopper's own past with the item. */
export const RANK_FEATURES: readonly Feature[] = [
  context('user_vector', 'taste match {value}'),
  context('user_vector_rank', 'place {value} by taste'),
  context('item_to_item', 'goes with what was viewed: {value}'),
  context('page_item', 'goes with the item on the page: {value}'),
  context('look_alike', 'wanted by shoppers like this one: {value}'),
  context('look_alike_share', 'wanted {value} times as much by shoppers like this one as what they want most'),
  context('look_alike_rank', 'place {value} by what shoppers like this one want'),
  context('look_alike_ever', 'ever wanted by shoppers like this one: {value}'),
  context('linear', 'goes with all that this shopper holds: {value}'),
  context('linear_share', 'goes {value} times as well with all that this shopper holds as the best'),
  context('linear_rank', 'place {value} by what goes with all that this shopper holds'),
  context('linear_ever', 'goes with all that this shopper ever held: {value}'),
  context('session_neighbours', 'clicked next in visits like this one: {value}'),
  context('session_neighbours_share', 'clicked next {value} times as much in visits like this one as the best'),
  context('session_neighbours_rank', 'place {value} by what was clicked next in visits like this one'),
  context('visit_steps', 'touched {value} items ago in this visit'),
  context('next_item', 'expected next in this visit: {value}'),
  context('next_item_gap', 'expected next in this visit, {value} beside the best'),
  context('next_item_rank', 'place {value} by what is expected next in this visit'),
  context('popular', 'popularity score {value}'),
  context('appeal', 'clicked on {value} times as much as its views in lists let expect'),
  context('buy_again', 'bought-before score {value}'),
  context('own_count', 'bought {value} times by this shopper'),
  context('own_days', 'last bought {value} days ago by this shopper'),
  context('own_first_days', 'first bought {value} days ago by this shopper'),
  context('own_pace', '{value} times the usual days between two purchases have passed'),

  subject('item_price', 'item_price', 'price {value}'),
  subject('item_age_days', 'item_age_days', 'offered for {value} days'),
  subject('item_stock', 'item_stock', '{value} in stock'),
  subject('hour', 'hour', 'asked at hour {value} UTC'),
  subject('weekday', 'weekday', 'asked on weekday {value} (Monday is 0)'),

  count('user_activity_24h', 'user', '24h', ACTIVITY, '{value} actions of this shopper in the last 24 hours'),
  count('user_activity_30d', 'user', '30d', ACTIVITY, '{value} actions of this shopper in the last 30 days'),
  count('user_purchases_90d', 'user', '90d', BUY, '{value} purchases of this shopper in the last 90 days'),
  since('user_last_purchase', 'user', 'last', BUY, 'this shopper last bought {value} ago'),
  total('mean', 'user_mean_price_90d', 'user', '90d', 'price', ACTIVITY, 'mean price {value} of what this shopper looked at in the last 90 days'),
  ratio('price_to_user_mean', 'item_price', 'user_mean_price_90d', 'the price is {value} times what this shopper usually looks at'),
  share('user_category_share', 'user', 'category', ACTIVITY, '{value} of this shopper’s recent actions were in this category'),
  share('user_brand_share', 'user', 'brand', ACTIVITY, '{value} of this shopper’s recent actions were on this brand'),

  count('session_activity_1h', 'session', '1h', ACTIVITY, '{value} actions in this visit in the last hour'),
  since('session_first', 'session', 'first', ACTIVITY, 'this visit began {value} ago'),
  since('session_last', 'session', 'last', ACTIVITY, 'last action in this visit {value} ago'),
  share('session_category_share', 'session', 'category', ACTIVITY, '{value} of this visit’s actions were in this category'),
  share('session_brand_share', 'session', 'brand', ACTIVITY, '{value} of this visit’s actions were on this brand'),

  count('item_views_24h', 'item', '24h', VIEW, 'viewed {value} times in the last 24 hours'),
  count('item_views_7d', 'item', '7d', VIEW, 'viewed {value} times in the last 7 days'),
  count('item_views_30d', 'item', '30d', VIEW, 'viewed {value} times in the last 30 days'),
  count('item_carts_7d', 'item', '7d', CART, 'put into {value} carts in the last 7 days'),
  count('item_purchases_7d', 'item', '7d', BUY, 'bought {value} times in the last 7 days'),
  count('item_purchases_30d', 'item', '30d', BUY, 'bought {value} times in the last 30 days'),
  count('item_purchases_90d', 'item', '90d', BUY, 'bought {value} times in the last 90 days'),
  ratio('item_view_trend', 'item_views_24h', 'item_views_7d', 'share {value} of the week’s views fell into the last 24 hours'),
  ratio('item_purchase_trend', 'item_purchases_30d', 'item_purchases_90d', 'share {value} of the quarter’s purchases fell into the last 30 days'),
  ratio('item_conversion', 'item_purchases_30d', 'item_views_30d', '{value} purchases a view in the last 30 days'),
];
