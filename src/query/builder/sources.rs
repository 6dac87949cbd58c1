//! The verbs of the typed builder that take the columns of all sources: the same for one source,
//! two, and so on up to eight.

use super::column::{ColumnSet, Path};
use super::expression::Expression;
use super::operand::{Condition, GroupCondition, GroupKeys, OrderKeys};
use super::rows::{Grouped, Selected, Unselected, Whole, row};
use super::subquery::Subquery;
use super::typed::QueryBuilder;
use crate::query::{JoinKind, Source};
use crate::schema::Collection;

/// A condition of a join: a closure over the columns of all sources. The trait stands for the
/// closure's type in full, so that only the collection is named where a join is written.
macro_rules! join_condition {
    ($trait:ident $($name:ident)+) => {
        #[doc(hidden)]
        pub trait $trait<$($name),+>: FnOnce($($name),+) -> <Self as $trait<$($name),+>>::Condition {
            type Condition: Condition;
        }

        impl<Closure, Returned: Condition, $($name),+> $trait<$($name),+> for Closure
        where
            Closure: FnOnce($($name),+) -> Returned,
        {
            type Condition = Returned;
        }
    };
}

macro_rules! joins {
    ($(#[$doc:meta])* $join:ident $join_query:ident $kind:ident $left:ident $right:ident;
     $condition:ident $($name:ident $i:tt)+) => {
        $(#[$doc])*
        #[must_use]
        pub fn $join<Row: Collection>(
            self,
            alias: &str,
            on: impl $condition<$($name,)+ Row::Columns>,
        ) -> QueryBuilder<($(joins!(@$left $name),)+ joins!(@$right (Row::Columns)),)>
        where
            Row::Columns: ColumnSet,
        {
            let source = Source::collection(Row::NAME, alias);
            let columns = Row::Columns::at(Path::of(alias));
            let on = on($(self.sources.$i,)+ columns).condition();
            QueryBuilder::new(
                self.query.join_as(JoinKind::$kind, source, Some(on)),
                ($(joins!(@$left (self.sources.$i) value),)+ joins!(@$right columns value),),
            )
        }

        /// The same with the result of a query.
        #[must_use]
        pub fn $join_query<Joined: ColumnSet, On: Condition>(
            self,
            alias: &str,
            query: impl Into<Subquery<Joined>>,
            on: impl FnOnce($($name,)+ Joined) -> On,
        ) -> QueryBuilder<($(joins!(@$left $name),)+ joins!(@$right Joined),)> {
            let (source, columns) = query.into().into_source(alias);
            let on = on($(self.sources.$i,)+ columns).condition();
            QueryBuilder::new(
                self.query.join_as(JoinKind::$kind, source, Some(on)),
                ($(joins!(@$left (self.sources.$i) value),)+ joins!(@$right columns value),),
            )
        }
    };
    (@there $columns:ident) => { $columns };
    (@there ($columns:ty)) => { $columns };
    (@there $columns:ident value) => { $columns };
    (@there ($columns:expr) value) => { $columns };
    (@optional $columns:ident) => { <$columns as ColumnSet>::Optional };
    (@optional ($columns:ty)) => { <$columns as ColumnSet>::Optional };
    (@optional $columns:ident value) => { $columns.optional() };
    (@optional ($columns:expr) value) => { $columns.optional() };
}

macro_rules! sources {
    ($($(#[$attribute:meta])+)? $($name:ident $i:tt)+) => {
        $($(#[$attribute])+)?
        impl<$($name: ColumnSet,)+ Of> QueryBuilder<($($name,)+), Of> {
            /// Keeps the rows for which a condition is true; of several filters, all.
            #[must_use]
            pub fn filter<Is: Condition>(self, condition: impl FnOnce($($name),+) -> Is) -> Self {
                let condition = condition($(self.sources.$i),+).condition();
                self.map_query(|query| query.filter(condition))
            }

            /// Keeps the groups for which a condition, which may hold aggregates, is true.
            #[must_use]
            pub fn having<Is: GroupCondition>(
                self,
                condition: impl FnOnce($($name),+) -> Is,
            ) -> Self {
                let condition = condition($(self.sources.$i),+).group_condition();
                self.map_query(|query| query.having(condition))
            }

            /// Orders the result by a column, an expression, or a tuple of them, after the keys that
            /// are there. Ascending, unless one says `desc()`.
            #[must_use]
            pub fn order_by<Keys: OrderKeys>(self, keys: impl FnOnce($($name),+) -> Keys) -> Self {
                let keys = keys($(self.sources.$i),+).order();
                self.map_query(|query| query.order_by(keys))
            }

            /// Makes the rows the values of an expression, a tuple, or the `…Select` of a
            /// `#[derive(Projection)]`.
            #[must_use]
            pub fn select<Selection: Expression>(
                self,
                selected: impl FnOnce($($name),+) -> Selection,
            ) -> QueryBuilder<($($name,)+), Selected<Selection>>
            where
                Of: Unselected,
            {
                let select = row(selected($(self.sources.$i),+));
                QueryBuilder::new(self.query.select_as(select), self.sources)
            }
        }

        $($(#[$attribute])+)?
        impl<$($name: ColumnSet),+> QueryBuilder<($($name,)+), Whole> {
            /// Groups the rows by a column, an expression, or a tuple of them. What is selected of a
            /// group are these keys, and aggregates.
            #[must_use]
            pub fn group_by<Keys: GroupKeys>(
                self,
                keys: impl FnOnce($($name),+) -> Keys,
            ) -> QueryBuilder<($($name,)+), Grouped> {
                let keys = keys($(self.sources.$i),+).keys();
                QueryBuilder::new(self.query.group_by(keys), self.sources)
            }
        }
    };
}

macro_rules! joinable {
    ($($(#[$attribute:meta])+)? $condition:ident $($name:ident $i:tt)+) => {
        $($(#[$attribute])+)?
        impl<$($name: ColumnSet),+> QueryBuilder<($($name,)+), Whole> {
            joins! {
                /// Joins a collection; of a pair of rows the condition must be true.
                join join_query Inner there there;
                $condition $($name $i)+
            }

            joins! {
                /// As `join`, and rows that match nothing of the new source stay.
                left_join left_join_query Left there optional;
                $condition $($name $i)+
            }

            joins! {
                /// As `join`, and rows of the new source that match nothing stay.
                right_join right_join_query Right optional there;
                $condition $($name $i)+
            }

            joins! {
                /// As `join`, and rows of both sides that match nothing stay.
                full_join full_join_query Full optional optional;
                $condition $($name $i)+
            }

            /// Pairs every row with every row of a collection.
            #[must_use]
            pub fn cross_join<Row: Collection>(
                self,
                alias: &str,
            ) -> QueryBuilder<($($name,)+ Row::Columns,)>
            where
                Row::Columns: ColumnSet,
            {
                let source = Source::collection(Row::NAME, alias);
                QueryBuilder::new(
                    self.query.join_as(JoinKind::Cross, source, None),
                    ($(self.sources.$i,)+ Row::Columns::at(Path::of(alias)),),
                )
            }
        }
    };
}

join_condition!(On2 A B);
join_condition!(On3 A B C);
join_condition!(On4 A B C D);
join_condition!(On5 A B C D E);
join_condition!(On6 A B C D E F);
join_condition!(On7 A B C D E F G);
join_condition!(On8 A B C D E F G H);

sources!(A 0);
sources!(A 0 B 1);
sources!(#[doc(hidden)] A 0 B 1 C 2);
sources!(#[doc(hidden)] A 0 B 1 C 2 D 3);
sources!(#[doc(hidden)] A 0 B 1 C 2 D 3 E 4);
sources!(#[doc(hidden)] A 0 B 1 C 2 D 3 E 4 F 5);
sources!(#[doc(hidden)] A 0 B 1 C 2 D 3 E 4 F 5 G 6);
sources!(#[doc(hidden)] A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);

joinable!(On2 A 0);
joinable!(On3 A 0 B 1);
joinable!(#[doc(hidden)] On4 A 0 B 1 C 2);
joinable!(#[doc(hidden)] On5 A 0 B 1 C 2 D 3);
joinable!(#[doc(hidden)] On6 A 0 B 1 C 2 D 3 E 4);
joinable!(#[doc(hidden)] On7 A 0 B 1 C 2 D 3 E 4 F 5);
joinable!(#[doc(hidden)] On8 A 0 B 1 C 2 D 3 E 4 F 5 G 6);
