-- What could make rows be counted wrongly: contents, names and bodies that look like the statements of a dump.
USE jiradb;
SET @@SQL_MODE = '';
-- As Atlassian wants it; a statement with this row is longer than the default takes.
SET GLOBAL max_allowed_packet = 268435456;
CREATE TABLE huge (a longblob, b longtext);
INSERT INTO huge VALUES (REPEAT('\0', 12000000), REPEAT('\'', 12000000));
CREATE TABLE `odd ``name; -- it's` (id int primary key auto_increment, a text, b longblob, c bit(8), d geometry, e json, f float, g decimal(9,3), h varbinary(20), i date, j char(3), k enum('a''b','c;'), l double, m bool, gen int as (m+1) stored, v int as (m+2) virtual) COMMENT='it''s; -- "x" /* `';
INSERT INTO `odd ``name; -- it's` (a,b,c,d,e,f,g,h,i,j,k,l,m) VALUES
 ('it''s \\ "x" (1),(2); INSERT INTO `a` VALUES (1);\nINSERT INTO `jiraissue` VALUES (1);\r\n''', x'00270a5c3b', b'101', ST_GeomFromText('POINT(1 2)'), '{"a":"\\"\\\\"}', -1e-30, -1.5, 'a''\\', '2020-01-01', '', 'a''b', 1e300, true),
 ('', '', NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL),
 ('\\', '\\', 0, NULL, '[]', 1.5, 0, '\\', '0001-01-01', '\\''', 'c;', -0.0, false),
 ('\0\Z\b;\n', 0x3b0a, 0, NULL, '[]', 1.5, 0, ';\n', '0001-01-01', '\\''', 'c;', -0.0, false),
 ('/* */ -- # ` ', NULL, 0, NULL, '"it''s"', 1.5, 0, NULL, NULL, ')', 'c;', 3, false);
CREATE TABLE `new
INSERT INTO ``jiraissue`` VALUES (1);
line` (a int);
INSERT INTO `new
INSERT INTO ``jiraissue`` VALUES (1);
line` VALUES (1),(2);
CREATE TABLE `größe` (a int invisible, b int default 3);
INSERT INTO `größe` (a,b) VALUES (1,2),(3,4),(5,6);
CREATE TABLE vers (a int) WITH SYSTEM VERSIONING;
INSERT INTO vers VALUES (1),(2);
DELETE FROM vers WHERE a=1;
CREATE SEQUENCE sq;
SELECT NEXTVAL(sq);
CREATE TABLE myi (a int, b text) ENGINE=MyISAM;
INSERT INTO myi VALUES (1,'x');
CREATE TABLE ar (a int) PARTITION BY HASH(a) PARTITIONS 3;
INSERT INTO ar VALUES (1),(2),(3),(4);
CREATE DEFINER=jiradbuser@localhost VIEW `v'w` AS SELECT 'it''s; INSERT INTO `jiraissue` VALUES (1);' AS `a'``b`;
CREATE DEFINER=jiradbuser@localhost VIEW `bad` AS SELECT * FROM myi;
DELIMITER //
CREATE DEFINER=jiradbuser@localhost PROCEDURE p1() BEGIN
 -- it's a comment with ; and "quotes
 # another it's
 /* DELIMITER ;
INSERT INTO `jiraissue` VALUES (1); */
 SELECT 'x
INSERT INTO `jiraissue` VALUES (1);
DELIMITER ;
';
INSERT INTO `myi` VALUES (2,'y');
END //
CREATE DEFINER=jiradbuser@localhost FUNCTION f1() RETURNS int DETERMINISTIC RETURN 7-1--1 //
CREATE DEFINER=jiradbuser@localhost TRIGGER tr BEFORE INSERT ON myi FOR EACH ROW BEGIN
 SET NEW.b = CONCAT(NEW.b, 'it''s;
INSERT INTO `jiraissue` VALUES (1);'); END //
CREATE DEFINER=jiradbuser@localhost EVENT ev ON SCHEDULE EVERY 1 DAY DO BEGIN INSERT INTO myi VALUES (3,'z;'); END //
DELIMITER ;
INSERT INTO myi VALUES (4, 'after');
